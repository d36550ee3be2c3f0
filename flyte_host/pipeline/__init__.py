"""The way of an action and of an event, from flyte to a handler and back."""
