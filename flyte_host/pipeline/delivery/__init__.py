"""What flyte is still owed: its order, its attempts, and what each refusal of flyte means."""
