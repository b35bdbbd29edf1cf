"""Order proofs as Coq files: formal/ at the top of the repository, checked by `make formal`."""
