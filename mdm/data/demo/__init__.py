"""Media for the demos, from packages that registries carry: pictures, recordings, speech made from captions, prose."""
