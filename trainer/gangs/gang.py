"""`Gang`: the ranks of one trial as seen from inside one of them; with one rank all is local."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import distributed


@dataclass(frozen=True, slots=True)
class Gang:
    """This process's place among the ranks, and what they tell one another."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which alone talks to the outside."""
        return self.rank == 0

    def share(self, value: int) -> int:
        """Rank 0's number, on every rank."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value], device=self.device)
        distributed.broadcast(tensor, src=0)
        return int(tensor.item())

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Elementwise sum over the ranks."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return bool(self.total(torch.tensor([int(flag)], device=self.device)).item())

    def most(self, value: int) -> int:
        """The largest of the ranks' numbers."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value], device=self.device)
        distributed.all_reduce(tensor, op=distributed.ReduceOp.MAX)
        return int(tensor.item())

    def gather(self, data: bytes) -> list[bytes]:
        """Every rank's bytes, by rank, on every rank; lengths may differ."""
        if self.size == 1:
            return [data]
        length = torch.tensor([len(data)], device=self.device)
        lengths = [torch.zeros_like(length) for _ in range(self.size)]
        distributed.all_gather(lengths, length)
        longest = max(1, *(int(each.item()) for each in lengths))
        mine = torch.zeros(longest, dtype=torch.uint8, device=self.device)
        mine[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else 0
        parts = [torch.zeros_like(mine) for _ in range(self.size)]
        distributed.all_gather(parts, mine)
        return [
            part[: int(each.item())].cpu().numpy().tobytes()
            for part, each in zip(parts, lengths, strict=True)
        ]

    def hear(self, data: bytes) -> bytes:
        """Rank 0's bytes, on every rank; what the others give is not read."""
        if self.size == 1:
            return data
        length = self.share(len(data))
        heard = torch.zeros(length, dtype=torch.uint8, device=self.device)
        if self.leads and data:
            heard[:] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        distributed.broadcast(heard, src=0)
        return heard.cpu().numpy().tobytes()

    def wait(self) -> None:
        """Until every rank is here."""
        if self.size > 1:
            distributed.barrier()
