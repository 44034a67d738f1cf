"""English words that a caption is held together with; what is left of it names something.

A short closed list, not a parser: it is there to tell "photo of the" from "a dog on a red sofa".
"""

_FUNCTION = """
a about all also am an and any are as be been being but by can could did do does each for get had
has have he her here him his how i if is it its just may me more most my no not of off or our out
own per shall she should so some such than that the their them then there these they this those to
too up us very was we were what when where which who whose why will would you your
image images photo photograph photos picture pictures
"""
# Where things are to each other, and what is done in pictures most: prepositions and verbs.
_RELATIONS = """
above across against along alongside among around at atop before behind below beneath beside
between beyond down from in inside into near next on onto opposite outside over past through toward
towards under underneath upon with within without
carrying climbing cooking covered covering crossing cutting driving drinking eating facing feeding
filled flying grazing hanging holding jumping laying leaning lit looking lying made parked playing
pointing posing pulling reading resting riding running showing shown sitting sits sleeping smiling
standing stands surrounded surrounding swimming taking talking throwing topped using waiting walking
watching wearing working
"""
FUNCTION_WORDS = frozenset(_FUNCTION.split())
RELATIONS = frozenset(_RELATIONS.split())
