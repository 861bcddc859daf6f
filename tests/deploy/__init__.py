"""Deployments, on real parts: kustomize, the definitions of Kubernetes, KEDA and the operator, Prometheus."""
