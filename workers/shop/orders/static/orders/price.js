// The form carries the price that its reader has seen.
const product = document.querySelector("select[name=product]");
const price = document.querySelector("input[name=price]");
const prices = JSON.parse(document.getElementById("prices").textContent);

function note() {
  price.value = prices[product.value];
}

product.addEventListener("change", note);
note();
