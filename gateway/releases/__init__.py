"""Who decides: promotions, and comparisons of two releases on the same photographs."""
