"""A series of trainings with other settings, looking for the best: by Optuna, which chooses and ends the hopeless."""
