"""Search for the values of a recipe: many short trainings, by Optuna."""
