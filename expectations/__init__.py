"""What must hold before anything is published: suites, and the gate that runs them and fails closed."""
