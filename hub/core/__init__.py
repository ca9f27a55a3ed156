"""The branch's decisions: verify, fold, post, reconcile, route. Pure and synchronous."""
