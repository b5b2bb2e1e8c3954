"""The methods that HyperNoise is compared with, one file each."""
