"""Pages of fifty, each naming the address of the next; new rows do not shift them."""

from rest_framework.pagination import CursorPagination


class Pages(CursorPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering = "pk"


class NewestFirst(Pages):
    ordering = "-pk"
