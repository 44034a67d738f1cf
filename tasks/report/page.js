// Filters and sorts each gallery; without this script all pictures are shown as they were chosen.
for (const gallery of document.querySelectorAll(".gallery")) {
  const tools = gallery.querySelector(".tools");
  if (!tools) continue;
  const list = gallery.querySelector(".cards");
  const cards = [...list.children];
  const kind = tools.querySelector(".by-kind");
  const words = tools.querySelector(".by-words");
  const order = tools.querySelector(".by-order");
  const count = tools.querySelector(".count");

  const number = (card, name, missing) => (card.dataset[name] === "" ? missing : Number(card.dataset[name]));
  const orders = {
    nth: (a, b) => number(a, "nth", 0) - number(b, "nth", 0),
    "itm-up": (a, b) => number(a, "itm", Infinity) - number(b, "itm", Infinity),
    "itm-down": (a, b) => number(b, "itm", -Infinity) - number(a, "itm", -Infinity),
  };

  const show = () => {
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      const text = card.textContent.toLowerCase();
      card.hidden = (kind.value !== "" && card.dataset.kind !== kind.value) || !text.includes(wanted);
      shown += card.hidden ? 0 : 1;
    }
    list.append(...cards.toSorted(orders[order.value]));
    count.textContent = `${shown} of ${cards.length}`;
  };

  for (const control of [kind, words, order]) control.addEventListener("input", show);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.hidden = false;
  show();
}
