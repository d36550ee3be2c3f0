"""The threads that carry actions, and each stage of the way: take, run, finish, deliver."""
