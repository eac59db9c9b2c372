"""Tools, images and the Kubernetes cluster of this project's tests: `python -m ci --help`.

For tests, the parts to import are `ci.tools.path`, `ci.cluster.ensure` and `ci.images.load`.
"""
