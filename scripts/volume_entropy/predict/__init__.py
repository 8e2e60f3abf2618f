"""From images to members: networks, samplers, training. Needs `envs/predict.txt`; the core never imports it."""
