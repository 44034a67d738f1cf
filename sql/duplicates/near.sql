-- Which looks that agree in the bits of a mask are near each other in both hashes?
-- reads look; returns pairs of picture numbers, of which one is new
select
    one.id as one,
    other.id as other
from look as one
join look as other
    on (one.phash & $mask::ubigint) = (other.phash & $mask::ubigint)
where
    one.is_new
    and other.place < one.place
    and bit_count(xor(one.phash, other.phash)) <= $radius
    -- The other hash is a second witness: pictures on white ground come close in one by chance.
    and bit_count(xor(one.dhash, other.dhash)) <= $dhash_radius
