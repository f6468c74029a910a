"""What Merismos costs: rows of CPU per item, each beside a bare floor measured in the same run."""
