//! Test parts for envoi stacks: an ingest server with faults on demand, scripted mocks, probes, and the contract suite for layers.
