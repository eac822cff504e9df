"""What scenes with a driving robot share: room, base, rendering, the expert's way of planning."""
