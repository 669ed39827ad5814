"use strict";
// Shows the checks that are asked for. Without it the page has all of them.
(() => {
  const form = document.getElementById("filter");
  const cases = Array.from(document.querySelectorAll("#cases > .case"), (element) => ({
    element,
    area: element.dataset.area,
    subject: element.dataset.subject,
    name: element.querySelector("summary").textContent.toLowerCase(),
    checks: Array.from(element.querySelectorAll(".check"), (check) => ({
      element: check,
      word: check.dataset.word,
      text: check.textContent.toLowerCase(),
    })),
  }));
  const all = cases.reduce((sum, one) => sum + one.checks.length, 0);

  const apply = () => {
    const asked = new FormData(form);
    const words = new Set(asked.getAll("word"));
    const texts = asked.get("text").toLowerCase().split(/\s+/).filter(Boolean);
    const every = form.querySelectorAll("[name=word]:not(:checked)").length === 0;
    let shown = 0;
    for (const one of cases) {
      const place = ["area", "subject"].every((key) => !asked.get(key) || asked.get(key) === one[key]);
      let here = 0;
      for (const check of one.checks) {
        const has = place && words.has(check.word)
          && texts.every((text) => one.name.includes(text) || check.text.includes(text));
        check.element.hidden = !has;
        here += has ? 1 : 0;
      }
      // A case without checks has nothing that could be filtered out.
      const empty = one.checks.length === 0 && place && every && texts.every((text) => one.name.includes(text));
      one.element.hidden = here === 0 && !empty;
      shown += here;
    }
    form.querySelector("output").value = `${shown} of ${all} checks`;
  };

  const unfold = (open) => {
    for (const one of cases) {
      if (!one.element.hidden) one.element.open = open;
    }
  };

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  form.elements.open.addEventListener("click", () => unfold(true));
  form.elements.shut.addEventListener("click", () => unfold(false));
  form.hidden = false;
  apply();

  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      form.elements.text.focus();
    }
  });

  // A link to something folded away opens it.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details");
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
