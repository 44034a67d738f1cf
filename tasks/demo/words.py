"""The words of the demo's captions: twenty-four things, eight grounds, and how a sentence is made.

A thing's English name is what a person would say, not the character's official one; the other
languages exist so that a site can show captions that are right and still no English.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["de", "fr", "es"]

LANGUAGES: tuple[Language, ...] = ("de", "fr", "es")
TEMPLATES = (
    "{things} on a {colour} background",
    "a {colour} background with {things}",
    "a picture of {things} on {colour}",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing.

    `emoji` is its name in `emoji.EMOJI_DATA`; each language has one thing with its article, then
    the plural.
    """

    name: str
    plural: str
    emoji: str
    de: tuple[str, str]
    fr: tuple[str, str]
    es: tuple[str, str]

    @property
    def one(self) -> str:
        """The thing with its article: "an apple"."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"


@dataclass(frozen=True, slots=True)
class Ground:
    """A background: its RGB value in 0..255 and its name, with the phrase of each language."""

    name: str
    rgb: tuple[int, int, int]
    de: str
    fr: str
    es: str


_TABLE = """
apple     | apples       | red_apple      | ein Apfel, Äpfel | une pomme, pommes | una manzana, manzanas
banana    | bananas      | banana         | eine Banane, Bananen | une banane, bananes | un plátano, plátanos
carrot    | carrots      | carrot         | eine Karotte, Karotten | une carotte, carottes | una zanahoria, zanahorias
strawberry| strawberries | strawberry     | eine Erdbeere, Erdbeeren | une fraise, fraises | una fresa, fresas
lemon     | lemons       | lemon          | eine Zitrone, Zitronen | un citron, citrons | un limón, limones
mushroom  | mushrooms    | mushroom       | ein Pilz, Pilze | un champignon, champignons | una seta, setas
hamburger | hamburgers   | hamburger      | ein Hamburger, Hamburger | un hamburger, hamburgers | una hamburguesa, hamburguesas
cake      | cakes        | birthday_cake  | eine Torte, Torten | un gâteau, gâteaux | una tarta, tartas
key       | keys         | key            | ein Schlüssel, Schlüssel | une clé, clés | una llave, llaves
guitar    | guitars      | guitar         | eine Gitarre, Gitarren | une guitare, guitares | una guitarra, guitarras
balloon   | balloons     | balloon        | ein Luftballon, Luftballons | un ballon, ballons | un globo, globos
football  | footballs    | soccer_ball    | ein Fußball, Fußbälle | une balle, balles | una pelota, pelotas
dog       | dogs         | dog_face       | ein Hund, Hunde | un chien, chiens | un perro, perros
cat       | cats         | cat_face       | eine Katze, Katzen | un chat, chats | un gato, gatos
pig       | pigs         | pig            | ein Schwein, Schweine | un cochon, cochons | un cerdo, cerdos
elephant  | elephants    | elephant       | ein Elefant, Elefanten | un éléphant, éléphants | un elefante, elefantes
lion      | lions        | lion           | ein Löwe, Löwen | un lion, lions | un león, leones
penguin   | penguins     | penguin        | ein Pinguin, Pinguine | un manchot, manchots | un pingüino, pingüinos
turtle    | turtles      | turtle         | eine Schildkröte, Schildkröten | une tortue, tortues | una tortuga, tortugas
butterfly | butterflies  | butterfly      | ein Schmetterling, Schmetterlinge | un papillon, papillons | una mariposa, mariposas
bicycle   | bicycles     | bicycle        | ein Fahrrad, Fahrräder | un vélo, vélos | una bicicleta, bicicletas
car       | cars         | automobile     | ein Auto, Autos | une voiture, voitures | un coche, coches
rocket    | rockets      | rocket         | eine Rakete, Raketen | une fusée, fusées | un cohete, cohetes
house     | houses       | house          | ein Haus, Häuser | une maison, maisons | una casa, casas
"""  # noqa: E501  # one kind a line reads as the table it is


def _kind(line: str) -> Kind:
    name, plural, emoji, *foreign = (cell.strip() for cell in line.split("|"))
    de, fr, es = (tuple(part.strip() for part in cell.split(",")) for cell in foreign)
    return Kind(name, plural, emoji, (de[0], de[1]), (fr[0], fr[1]), (es[0], es[1]))


KINDS: Mapping[str, Kind] = {
    kind.name: kind for kind in (_kind(line) for line in _TABLE.strip().splitlines())
}

GROUNDS: Mapping[str, Ground] = {
    ground.name: ground
    for ground in (
        Ground("white", (250, 250, 250), "weißem", "blanc", "blanco"),
        Ground("pink", (250, 176, 204), "rosa", "rose", "rosa"),
        Ground("yellow", (250, 230, 120), "gelbem", "jaune", "amarillo"),
        Ground("green", (160, 214, 140), "grünem", "vert", "verde"),
        Ground("blue", (150, 200, 245), "blauem", "bleu", "azul"),
        Ground("purple", (186, 160, 226), "violettem", "violet", "morado"),
        Ground("brown", (204, 160, 122), "braunem", "marron", "marrón"),
        Ground("grey", (160, 166, 172), "grauem", "gris", "gris"),
    )
}

_NUMBERS = {"en": "two three", "de": "zwei drei", "fr": "deux trois", "es": "dos tres"}
_AND = {"en": "and", "de": "und", "fr": "et", "es": "y"}
_FOREIGN_TEMPLATES = {
    "de": "{things} auf {colour} Hintergrund",
    "fr": "{things} sur fond {colour}",
    "es": "{things} sobre fondo {colour}",
}


def english(counts: Mapping[str, int], colour: str, template: int) -> str:
    """Return the caption of a scene, things in the order of `counts`.

    Args:
        counts: kind name to how many, each 1 to 3.
        colour: the name of a ground.
        template: an index into `TEMPLATES`.
    """
    parts = [_phrase("en", KINDS[n].one, KINDS[n].plural, count) for n, count in counts.items()]
    return TEMPLATES[template].format(things=_joined("en", parts), colour=colour)


def foreign(counts: Mapping[str, int], colour: str, language: Language) -> str:
    """Return the same caption in German, French or Spanish."""
    forms: list[tuple[str, str]] = [getattr(KINDS[name], language) for name in counts]
    parts = [
        _phrase(language, one, plural, count)
        for (one, plural), count in zip(forms, counts.values(), strict=True)
    ]
    return _FOREIGN_TEMPLATES[language].format(
        things=_joined(language, parts), colour=getattr(GROUNDS[colour], language)
    )


def _phrase(language: str, one: str, plural: str, count: int) -> str:
    return one if count == 1 else f"{_NUMBERS[language].split()[count - 2]} {plural}"


def _joined(language: str, parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} {_AND[language]} {parts[-1]}"
