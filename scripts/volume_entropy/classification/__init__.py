"""Images that are classified as a whole (digits, X-rays) instead of voxel by voxel.

`pictures`, `folder` and `table` read; `predictions` holds what networks said; `rows` and `passes` measure it; `charts`
draws. Only `networks`, `learning` and `labelling` need torch, and nothing imports them but their own jobs.
"""
