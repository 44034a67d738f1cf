// Pictures marked lazy carry their address in data-src until they come near the window.
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((e) => e.isIntersecting)) {
    entry.target.src = entry.target.dataset.src;
    watcher.unobserve(entry.target);
  }
}, { rootMargin: "200px" });
document.querySelectorAll("img[data-src]").forEach((image) => watcher.observe(image));
