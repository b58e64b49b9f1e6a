//! Define, check, train, evaluate and ship residual networks: the library's facade and the command line.
