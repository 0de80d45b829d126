//! Forgers and simulators: test root, mock NSM, committees, scripted faults.
