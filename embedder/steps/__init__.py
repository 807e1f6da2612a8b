"""The steps of a run, as the pods run them: plan once, embed each column, finalize once; status at any time."""
