"""Speed, as ratios between contestants that run after each other on one machine."""
