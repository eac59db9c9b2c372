"""Tools, images and the Kubernetes cluster of this project's tests: `python -m ci --help`.

For tests, the parts to import are `ci.tools.path`, `ci.cluster.ensure`, `ci.images.load` and `ci.network.apply`.
"""
