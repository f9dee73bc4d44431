//! Every schedule of a program: the same code under all orders its tasks could take.
