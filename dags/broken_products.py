"""No DAG: raises what is wrong with product files, so that Airflow shows it as an import error of this file.

It stands in a file of its own because an import error stops every DAG of its file (see `products.py`).
"""

from product_files import ProductFileError, config_folder, read_products

if broken := read_products(config_folder()).broken:
    raise ProductFileError("\n".join(f"{path}: {problem}" for path, problem in broken.items()))
