// A button that copies; without a script, or without permission, the lines can be selected by hand.
for (const place of document.querySelectorAll(".copy")) {
  const button = place.querySelector("button"), status = place.querySelector("[role=status]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = place.querySelector("pre");
    try {
      await navigator.clipboard.writeText(code.textContent);
      status.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
      status.textContent = "selected: press Ctrl+C";
    }
  });
}
