"""Networks: how they are built, their weights, their stages and the device they run on."""
