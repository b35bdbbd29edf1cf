"""How the project's own networks are trained: data, recipes, the loop. Needs the extra `training`."""
