"""What flyte is still owed: its order, its attempts, and what becomes of what flyte refuses."""
