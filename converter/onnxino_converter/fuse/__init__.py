"""From DQ -> operator -> Q patterns, and from QOperator nodes, to fused nodes: one file per kind of operator."""
