// Nothing: what is compiled with it is the precompiled header.
