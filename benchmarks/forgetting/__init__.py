"""A made-up medical world and a tiny chat model that knows it: a subject on which forgetting can be
measured."""
