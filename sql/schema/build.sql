-- By which version was this catalogue built, and of which statements?
-- reads build, which every build writes; returns its one row
from build
