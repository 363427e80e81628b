# pitbox_fuzz(<name> <libraries>): tests/fuzz/<name>_fuzz.cpp with tests/fuzz/corpus/<name>/.
