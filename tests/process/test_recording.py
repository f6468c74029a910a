"""A real master and a real agent are recorded, killed, and replayed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from process.sessions.cluster import Cluster
from process.sessions.streams import ask
