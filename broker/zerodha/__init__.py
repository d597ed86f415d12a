"""Zerodha, Kite Connect v3: form bodies in, JSON out, a binary big-endian stream."""

from broker.zerodha.client import Zerodha

BROKER = Zerodha
