"""Reports: figures, tables and pages made from data sets and saved evaluations."""
