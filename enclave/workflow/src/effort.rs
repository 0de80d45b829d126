//! What compiling a function takes, estimated from its operators.
//!
//! A compiler of the optimising kind does not take time by the byte. What makes it slow, and large:
//!
//! - values of locals that are brought together where control flow joins: five kilobytes of code with
//!   300 locals set in 300 nested loops take most of a minute, and a thousand of each gigabytes;
//! - values that live at the same time, more than there are registers;
//! - calls with hundreds of parameters or results.
//!
//! The estimate counts operators with what they pop and push, the blocks in which a set value may join
//! another, the blocks between a local's uses, and the locals in use. One unit is about a microsecond
//! of one processor: for workflows of all SDKs within a factor of two, for code that was written to
//! be slow within a factor of five.

use wasmparser::Operator;

/// Adds up the effort of one function after another.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    /// Of the function at hand, so far.
    function: u64,
    /// Locals it has used.
    used: u64,
    /// Kinds of the blocks that are open: whether it is a loop.
    loops: Vec<bool>,
    open_loops: u64,
    /// Numbers of the blocks that are open, ascending. No number is given twice.
    open: Vec<u64>,
    last_number: u64,
    /// Beginnings and ends of straight lines so far, over all functions.
    lines: u64,
    /// The same when the function at hand began.
    first_line: u64,
    locals: Vec<Local>,
}

/// What was seen of a local.
#[derive(Clone, Copy, Debug, Default)]
struct Local {
    /// The line of its last use.
    line: u64,
    /// The last number given when it was set: open blocks up to it know of that already.
    set: u64,
}

impl Effort {
    /// Begins the next function.
    pub(crate) fn begin(&mut self, locals: u32) {
        self.open.clear();
        self.loops.clear();
        (self.used, self.open_loops) = (0, 0);
        self.lines = self.lines.saturating_add(1);
        self.first_line = self.lines;
        self.function = locals.into();
        let locals = usize::try_from(locals).unwrap_or(usize::MAX);
        if self.locals.len() < locals {
            self.locals.resize(locals, Local::default());
        }
    }

    /// Adds an operator that pops and pushes so many values.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other operators cost what they move")]
    pub(crate) fn add(&mut self, operator: &Operator<'_>, (pops, pushes): (u32, u32)) {
        let values = u64::from(pops).saturating_add(pushes.into());
        let mut effort = values.saturating_add(1);
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.open(false),
            Operator::Loop { .. } => self.open(true),
            Operator::End => self.close(),
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } => {
                let beyond = values.saturating_sub(FEW_VALUES).saturating_mul(WIDE_CALL);
                effort = effort.saturating_add(beyond);
            }
            Operator::Else | Operator::Br { .. } | Operator::BrIf { .. } => {
                self.lines = self.lines.saturating_add(1);
            }
            Operator::BrTable { targets } => {
                self.lines = self.lines.saturating_add(1);
                effort = effort.saturating_mul(u64::from(targets.len()).saturating_add(1));
            }
            Operator::LocalGet { local_index } => {
                effort = effort.saturating_add(self.use_of(*local_index));
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                effort = effort.saturating_add(self.use_of(*local_index));
                effort = effort.saturating_add(self.joins_of(*local_index));
            }
            _ => {}
        }
        self.function = self.function.saturating_add(effort);
    }

    fn open(&mut self, is_loop: bool) {
        self.last_number = self.last_number.saturating_add(1);
        self.open.push(self.last_number);
        self.loops.push(is_loop);
        self.open_loops = self.open_loops.saturating_add(is_loop.into());
        self.lines = self.lines.saturating_add(1);
    }

    fn close(&mut self) {
        self.open.pop();
        let was_loop = self.loops.pop().unwrap_or(false);
        self.open_loops = self.open_loops.saturating_sub(was_loop.into());
        self.lines = self.lines.saturating_add(1);
    }

    /// The effort of the function at hand.
    pub(crate) fn function(&self) -> u64 {
        self.function
    }

    /// Lines between this use of a local and the one before, and what it costs that it is one of many.
    fn use_of(&mut self, index: u32) -> u64 {
        let (lines, first) = (self.lines, self.first_line);
        let Some(local) = self.local(index) else { return 0 };
        let before = std::mem::replace(&mut local.line, lines);
        if before < first {
            self.used = self.used.saturating_add(1);
        }
        let crowd = self.used.saturating_sub(FEW_LOCALS) / CROWD;
        lines.saturating_sub(before.max(first)).saturating_add(crowd)
    }

    /// Open blocks in which a local was not set before.
    fn joins_of(&mut self, index: u32) -> u64 {
        let number = self.last_number;
        let Some(local) = self.local(index) else { return 0 };
        let before = std::mem::replace(&mut local.set, number);
        let known = self.open.partition_point(|open| *open <= before);
        let joins = self.open.len().saturating_sub(known);
        let nesting = self.open_loops.saturating_mul(self.open_loops) / NESTING;
        let joins = u64::try_from(joins).unwrap_or(u64::MAX);
        joins.saturating_mul(JOIN.saturating_add(nesting))
    }

    fn local(&mut self, index: u32) -> Option<&mut Local> {
        self.locals.get_mut(usize::try_from(index).ok()?)
    }
}

/// What a value that joins others costs, in operators.
const JOIN: u64 = 4;

/// In nested loops it costs more, with the square of their number: in 300 about a hundred times.
const NESTING: u64 = 256;

/// What a call passes without trouble, and how much more each further value costs.
const FEW_VALUES: u64 = 16;
const WIDE_CALL: u64 = 8;

/// Locals that hardly get into each other's way, and how many more make each use cost one more.
const FEW_LOCALS: u64 = 64;
const CROWD: u64 = 64;

#[cfg(test)]
mod tests {
    use wasmparser::{FuncValidatorAllocations, OperatorsReader, Parser, ValidPayload, Validator};

    use super::*;

    /// The effort of the last function of a module.
    fn effort(body: &str) -> u64 {
        let module = wat::parse_str(format!("(module (memory 1) {body})")).unwrap();
        let mut validator = Validator::new();
        let mut effort = Effort::default();
        for payload in Parser::new(0).parse_all(&module) {
            let payload = validator.payload(&payload.unwrap()).unwrap();
            let ValidPayload::Func(function, body) = payload else { continue };
            let mut function = function.into_validator(FuncValidatorAllocations::default());
            let mut reader = body.get_binary_reader();
            function.read_locals(&mut reader).unwrap();
            effort.begin(function.len_locals());
            let mut operators = OperatorsReader::new(reader);
            while !operators.eof() {
                let (operator, offset) = operators.read_with_offset().unwrap();
                effort.add(&operator, operator.operator_arity(&function).unwrap());
                function.op(offset, &operator).unwrap();
            }
        }
        effort.function()
    }

    fn nested(locals: usize, depth: usize, kind: &str) -> u64 {
        let sets: String = (0..locals).map(|i| format!("(local.set {i} (i64.const 1))")).collect();
        let (open, close) = (format!("({kind} ").repeat(depth), ")".repeat(depth));
        effort(&format!("(func {} {open}{sets}{close})", "(local i64)".repeat(locals)))
    }

    #[test]
    fn straight_code_costs_what_its_operators_cost() {
        let of = |times: usize| {
            effort(&format!("(func {})", "(drop (i32.load (i32.const 1)))".repeat(times)))
        };
        assert_eq!(of(1_000) - of(0), 1_000 * (of(1) - of(0)));
    }

    #[test]
    fn locals_set_in_nested_loops_cost_more_than_their_number() {
        let (few, many) = (nested(60, 10, "loop"), nested(60, 100, "loop"));
        assert!(many > 50 * few, "{few} {many}");
        assert!(nested(60, 100, "block") < many / 5);
    }

    #[test]
    fn a_local_set_again_in_the_same_block_joins_nothing_new() {
        let once = effort("(func (local i32) (loop (local.set 0 (i32.const 1))))");
        let twice = effort(
            "(func (local i32) (loop (local.set 0 (i32.const 1)) (local.set 0 (i32.const 1))))",
        );
        assert!(twice - once < once / 2, "{once} {twice}");
        let apart = effort(
            "(func (local i32) (loop (local.set 0 (i32.const 1))) (loop (local.set 0 (i32.const 1))))",
        );
        assert!(apart - once > once / 2, "{once} {apart}");
    }

    #[test]
    fn what_was_seen_of_one_function_does_not_count_in_the_next() {
        let body = "(func (local i32) (loop (local.set 0 (i32.const 1))))";
        assert_eq!(effort(body), effort(&format!("{body} {body}")));
    }

    #[test]
    fn many_locals_get_into_each_others_way() {
        let reads = |locals: usize| {
            let all: String = (0..locals).map(|i| format!("(drop (local.get {i}))")).collect();
            effort(&format!("(func {} {all}{all})", "(local i64)".repeat(locals)))
        };
        assert!(reads(4_000) > 100 * reads(200), "{} {}", reads(4_000), reads(200));
    }

    #[test]
    fn wide_calls_and_tables_of_branches_cost_what_they_move() {
        let wide = |values: usize| {
            let types = "i64 ".repeat(values);
            let loads = "(i64.const 1)".repeat(values);
            let gets: String = (0..values).map(|i| format!("(local.get {i})")).collect();
            effort(&format!(
                "(func $f (param {types}) (result {types}) {gets}) \
                 (func (result {types}) {loads} (call $f) (call $f))"
            ))
        };
        assert!(wide(100) > 20 * wide(10), "{} {}", wide(100), wide(10));
        let table = |targets: usize| {
            effort(&format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(targets)))
        };
        assert!(table(1_000) > 100 * table(1));
    }
}
