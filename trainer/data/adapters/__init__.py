"""Published preference sets and benchmarks, one small pure function per row shape."""
