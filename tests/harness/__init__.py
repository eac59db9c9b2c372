"""What tests stand on: real servers, the chart, the cluster, faults and diagnostics."""
