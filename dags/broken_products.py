"""Has no DAG: raises the errors of broken product files, so that Airflow shows them as an import error.

This is a separate file because an import error stops every DAG of its file (see `products.py`).
"""

from product_files import ProductFileError, config_folder, read_products

if broken := read_products(config_folder()).broken:
    raise ProductFileError("\n".join(f"{path}: {problem}" for path, problem in broken.items()))
