"""Networks: how they are built, their weights, their stages, the device that they run on."""
